"""From raw text to what a model sees: normalization, masking of personal data, sentences, tokens.

Every function is pure and takes one text; training, serving and monitoring call the same ones.
"""

import re
import unicodedata
from dataclasses import dataclass

# What is nobody's business and teaches a model nothing; the order matters, the most specific comes first.
PERSONAL = {
    "<email>": re.compile(r"[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63})+"),
    "<url>": re.compile(r"\b(?:https?://|www\.)\S+", re.IGNORECASE),
    "<iban>": re.compile(r"\b[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){3,7}(?: ?[A-Z0-9]{1,3})?\b"),
    "<card>": re.compile(r"\b\d{4}(?:[ -]?\d{4}){3}\b"),
    "<phone>": re.compile(r"(?<![\w.-])(?:\+|00)\d{1,3}(?:[ /-]?\d{2,}){2,}\b"),
}
# Written like quotes and dashes, read like quotes and dashes.
FOLDED = str.maketrans({"’": "'", "‘": "'", "“": '"', "”": '"', "„": '"', "–": "-", "—": "-"})
INVISIBLE = {"Cc", "Cf", "Cs", "Co", "Cn"}  # Unicode categories: controls, formats, surrogates, private, unassigned
WORD = re.compile(r"<[a-z]+>|\w+(?:['-]\w+)*|[^\w\s]")
# A sentence ends at . ! ? … with closing quotes, before a space and something that can start a sentence.
SENTENCE_END = re.compile(r"""(?<=[.!?…])["')\]]*\s+(?=["'(\[¿¡]*[\w<])|\n{2,}""")
# After these a full stop ends no sentence.
ABBREVIATIONS = {"dr", "mr", "mrs", "ms", "st", "nr", "z.b", "bzw", "e.g", "i.e", "p.ej", "m", "mme", "sr", "sra"}
DAY = re.compile(r"\d{1,2}\.(\d{1,2}\.)?")  # an ordinal or a date, as German writes them


@dataclass(frozen=True)
class Span:
    """A piece of a text by its character offsets, the end exclusive."""

    start: int
    end: int
    text: str


def normalize(text: str) -> str:
    """Unicode NFKC, one kind of quote and dash, no control or invisible characters, single spaces.

    Idempotent: normalizing twice changes nothing more.
    """
    text = unicodedata.normalize("NFKC", text).translate(FOLDED)
    visible = (c for c in text if c in "\r\n\t" or unicodedata.category(c) not in INVISIBLE)
    text = unicodedata.normalize("NFKC", "".join(visible))  # again: an accent may have met its letter by now
    lines = (" ".join(line.split()) for line in text.splitlines())
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip()


def mask(text: str) -> str:
    """E-mail addresses, links, account, card and international phone numbers replaced by what they are."""
    for name, pattern in PERSONAL.items():
        text = pattern.sub(name, text)
    return text


def clean(text: str) -> str:
    """What models learn from: normalized and masked."""
    return mask(normalize(text))


def sentences(text: str) -> list[Span]:
    """The sentences of a text, in order; together they hold every visible character."""
    spans: list[Span] = []
    start = 0
    for match in SENTENCE_END.finditer(text):
        if _abbreviated(text[start : match.start()]):
            continue
        end = match.start() + len(match[0].rstrip()) if match[0].strip() else match.start()
        spans.append(Span(start, end, text[start:end]))
        start = match.end()
    if text[start:].strip():
        spans.append(Span(start, len(text.rstrip()), text[start:].rstrip()))
    return [span for span in spans if span.text.strip()]


def _abbreviated(sentence: str) -> bool:
    last = sentence.split()[-1].lower().strip("\"'(") if sentence.split() else ""
    return (last.endswith(".") and last.rstrip(".") in ABBREVIATIONS) or bool(DAY.fullmatch(last))


def tokens(text: str) -> list[Span]:
    """Words, numbers, masks and single punctuation marks with their places in `text`."""
    return [Span(found.start(), found.end(), found[0]) for found in WORD.finditer(text)]


def words(text: str) -> list[str]:
    """The tokens in lower case, without punctuation; numbers by their shape: 12345 is 00000."""
    found = (span.text.lower() for span in tokens(text))
    return [re.sub(r"\d", "0", word) for word in found if word[0].isalnum() or word[0] == "<"]
