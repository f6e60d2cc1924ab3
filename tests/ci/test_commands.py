"""The checker of command lines itself, and the contract that the pipelines of each CI system are held to."""

import pytest

from .commands import commands, faults

CONTRACT = """
uv run mlops check
uv run mlops config render --check
uv run mlops run
uv run mlops infrastructure check
uv run mlops infrastructure plan --env shared --report plan.md
uv run mlops infrastructure apply --env "$environment"
uv run mlops submit --env dev
uv run mlops submit --env staging --scheduled
uv run mlops events --env ${{ inputs.environment }} --report events.json
uv run mlops tell events.json
uv run mlops tell events.json --but candidate --but retrained
uv run mlops next dev.json staging.json --told told.json --version "$version"
uv run mlops promote --env staging --version "$version" --approved-by-pipeline
uv run mlops promote --env staging --version "$version" --decline --approval "$url"
uv run mlops stage --env staging --retrained --patience 45
uv run mlops scan --report scan.json --env prod
uv run mlops deploy --env prod && uv run mlops rollback --env prod
uv run mlops monitor --env prod
"""


def test_what_pipelines_may_call_is_there() -> None:
    assert len(list(commands(CONTRACT))) == 19
    assert faults(CONTRACT) == []


WRONG = {
    "command": "uv run mlops deply --env prod",
    "flag": "uv run mlops deploy --enviroment prod",
    "value": "uv run mlops deploy --env production",
    "missing": "if uv run mlops events --env dev; then echo none; fi",
    "second": "uv run mlops check && uv run mlops tell",
    "both": "uv run mlops promote --env prod --approved-by me --approved-by-pipeline",
}


@pytest.mark.parametrize("fault", WRONG)
def test_a_wrong_call_is_seen(fault: str) -> None:
    assert faults(WRONG[fault])


def test_what_is_not_called_is_no_call() -> None:
    assert list(commands('echo "run mlops deploy yourself"\n# uv run mlops nonsense\ncat mlops/azureml/x.yml\n')) == []
