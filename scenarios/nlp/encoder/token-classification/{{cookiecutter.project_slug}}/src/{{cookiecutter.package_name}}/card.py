"""The part of the model card that no measurement can write: make it true for your model."""

CARD = {
    "Intended use": "To show this project at work on generated support tickets in English, German, French, Spanish.",
    "Not intended for": "Decisions about people, real tickets without training on them, and removing personal data: "
    "what the model overlooks stays in.",
    "Known limits": "The texts are composed from phrases, so figures near 100 % prove little: look at the hard texts. "
    "Languages other than the four are not understood. A span never begins or ends within a word.",
    "Personal data": "E-mail addresses, links, account, card and international phone numbers are masked before "
    "anything is learnt or stored; names are not: they are among what the model finds.",
    "Who may be affected": "People whose names are overlooked more often than others': see identity below.",
}
