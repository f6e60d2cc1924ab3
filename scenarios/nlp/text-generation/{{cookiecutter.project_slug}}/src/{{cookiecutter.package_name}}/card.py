"""The part of the model card that no measurement can write: make it true for your model."""

CARD = {
    "Intended use": "To show this project at work on generated support tickets in English, German, French, Spanish.",
    "Not intended for": "Decisions about people, texts that nobody reads before they are sent, and real tickets "
    "without training on them.",
    "Known limits": "The texts are composed from phrases, so figures near 100 % prove little: look at the hard texts. "
    "A matter that the training had not is answered as if it were one that it had. Numbers are copied, at times the "
    "wrong ones.",
    "Personal data": "E-mail addresses, links, account, card and international phone numbers are masked before "
    "anything is learnt or stored; names are not.",
    "Who may be affected": "People who write in a language or style that the model reads worse: see the cohorts below.",
}
