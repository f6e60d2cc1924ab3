"""The two ways in which a command ends without success."""


class Problem(Exception):
    """Wrong use or a failure, said in one message for a person: exit code 2."""


class Refusal(Exception):
    """The work was done and the answer is no, with the reason: exit code 1."""
