"""Characters that look like ASCII characters, such as the Cyrillic letter a or the fraction slash."""

import re
import unicodedata
from collections.abc import Iterator
from functools import cache, lru_cache

_WORD = re.compile(r"\w+")
_SEPARATOR = re.compile(r"[/\\@\u2044\u2215]|[.\u2024](?=\w)|[:\u2236\ua789](?=[\d/])")
"""The separators between the parts of paths, hosts and URLs."""
_ASCII_LETTER = re.compile("[A-Za-z]")
_TYPOGRAPHIC = frozenset("\u2010\u2012\u2013\u2018\u2019\u201a\u201c\u201d\u2026\u2032\u2033\u2039\u203a\u3002")
"""Punctuation of ordinary texts, which may stand right beside an address."""
_LAST_LATIN = "\u024f"
"""Letters of Latin alphabets up to here are ordinary in words."""
_EAST_ASIAN = (("\u2e80", "\u9fff"), ("\uff00", "\uffef"))
"""Characters that are ordinary in Chinese and Japanese texts, and wider than ASCII."""


def in_code(text: str) -> Iterator[int]:
    """Yield the positions of all look-alikes: for paths, URLs and commands, where one changes the meaning."""
    return (position for position, character in enumerate(text) if looks_like_ascii(character))


def in_prose(text: str) -> Iterator[int]:
    """Yield the positions of look-alikes that could mislead within a text of any language.

    These are all in an address, and in a word those beside ASCII letters. A word of nothing but look-alikes counts,
    too, unless it is next to another word of its script.
    """
    for token in re.finditer(r"\S+", text):
        if not token[0].isascii() and _SEPARATOR.search(token[0]) and _ASCII_LETTER.search(token[0]):
            yield from (token.start() + at for at in in_code(token[0]) if token[0][at] not in _TYPOGRAPHIC)
    for line in re.finditer(r".+", text):
        if not line[0].isascii():
            yield from (line.start() + at for at in _in_words(line[0]))


@lru_cache(4096)
def looks_like_ascii(character: str) -> bool:
    """Return whether a character that is not ASCII looks like one or several ASCII characters."""
    if character.isascii():
        return False
    normal = unicodedata.normalize("NFKC", character)
    return all(each.isascii() or ord(each) in _code_points() for each in normal)


def _in_words(line: str) -> Iterator[int]:
    misleading = {character for character in set(line) if _misleads(character)}
    words = list(_WORD.finditer(line)) if misleading else []
    for number, word in enumerate(words):
        found = [at for at in range(*word.span()) if line[at] in misleading]
        if not found:
            continue
        rest = [at for at in range(*word.span()) if line[at].isalpha() and at not in found]
        neighbors = [words[each][0] for each in (number - 1, number + 1) if 0 <= each < len(words)]
        is_ordinary = rest or any(_continues(each, line[found[0]]) for each in neighbors)
        if _ASCII_LETTER.search(word[0]) or not is_ordinary:
            yield from found


@lru_cache(4096)
def _misleads(character: str) -> bool:
    """Return whether a character of a word looks the same as ASCII, not just similar."""
    if character <= _LAST_LATIN or any(first <= character <= last for first, last in _EAST_ASIAN):
        return False
    is_small_or_framed = unicodedata.decomposition(character).startswith(("<super>", "<sub>", "<circle>", "<square>"))
    return character.isalnum() and not is_small_or_framed and looks_like_ascii(character)


def _continues(word: str, character: str) -> bool:
    """Return whether a word has a letter of the character's script that is no look-alike."""
    script = _script(character)
    return any(each.isalpha() and _script(each) == script and not looks_like_ascii(each) for each in word)


def _script(character: str) -> str:
    return unicodedata.name(character, "").partition(" ")[0]


@cache
def _code_points() -> frozenset[int]:
    ranges = (each.partition("-") for each in _LOOKALIKES.split())
    return frozenset(code for first, _, last in ranges for code in range(int(first, 16), int(last or first, 16) + 1))


# From confusables.txt of Unicode 17 (UTS #39): characters whose skeleton is ASCII, without those that Unicode's
# normal form NFKC turns into ASCII or into one of these. Added: U+3002, which host names treat as a dot.
_LOOKALIKES = """
    b4 b8 c6 d7 e6 fe 131 149 152-153 181 184 187 18a 18d 192-193 196 198 1a0-1a1 1a4 1a6-1a7 1ac 1b3 1b7 1bc-1bd
    1bf-1c1 1c3 21c 222-223 241 251 261 263 269-26a 26f 28b 28f 294 2a3 2a6 2aa-2ab 2b9-2be 2c2-2c4 2c6 2c8 2ca-2cb
    2d0 2d7 2db-2dd 2ee 2f4 2f6 2f8 37a 37f 384 391-392 395-397 399-39a 39c-39d 39f 3a1 3a4-3a5 3a7 3b1 3b3 3b9 3bd
    3bf 3c1 3c3 3c5 3dc 3e8 3ec-3ed 3f2-3f3 3f8-3fa 405-406 408 410 412 415 417 41a 41c-41e 420-423 425 42b-42c 42e
    430-431 433 435 43e 440-441 443 445 448 455-456 458 461 474-475 491 4ae-4af 4bb 4bd 4c0 4cf 4d4-4d5 4e0 501 50c
    51b-51d 54d 54f 555 55a 55d 561 563 566 570 578 57c-57d 581-582 584-585 589 5c0 5c3 5d5 5d8-5d9 5df 5e1 5f0-5f4
    60d 627 647 660-661 665 667 66b 66d 6be 6c1 6d4-6d5 6f0-6f1 6f5 6f7 701-704 7c0 7ca 7f4-7f5 7fa 903 966 969 97d
    9e6 9ea 9ed a66-a67 a6a a83 ae6 ae9 b03 b20 b66 b68 be6 c02 c66 c82 ce6 d02 d1f-d20 d66 d6d d82 e50 ed0 1004 101d
    1040 105a 10e7 10ff 1200 12d0 13a0-13a2 13a4-13a5 13a9-13ac 13ae 13b3 13b7 13bb 13bd 13c0 13c2-13c3 13ce-13cf
    13d2 13d4-13d5 13d9-13da 13de-13df 13e2 13e6-13e7 13ee 13f3-13f4 1400 142f 1433 1438 144a 144c 1467 146d 146f
    1472 1486-1488 148d 14aa 14bf 1541 157c-157d 1587 15af 15b4 15c5 15de 15ea 15f0 15f7 166d-166e 16b2 16b7 16c1
    16cc 16d5-16d6 16ec-16ed 1735 17e0 1803 1809 1cd3 1d04 1d0f 1d11 1d1c 1d20-1d22 1d26 1d6b 1d83 1d8c 1e9d 1eff
    1fbd 1fbf-1fc0 1ffd-1ffe 2010 2012-2013 2016 2018-201d 201f 2032-2037 2039-203a 2041 2043-2044 204e 2053 2057
    205a 20b6 212e 2212 2215-2217 221e 2223 2225 2228 222a 2236 223c 226a-226b 22a4 22c1 22c3 22d8-22d9 22ff
    2373-2374 237a 23fd 244a 2571 2573 2768-2769 276e-276f 2772-2775 2795-2796 27cb 27cd 27d9 292b-292c 29f5
    29f8-29f9 2a20 2a2f 2aa5 2afb 2afd 2c82 2c85 2c8e 2c92-2c94 2c98 2c9a 2c9c 2c9e-2c9f 2ca2-2ca6 2ca8-2ca9 2cac
    2cba-2cbb 2cbd 2cc4 2cc6-2cc7 2cca-2ccc 2cce-2cd0 2cd2-2cd3 2cdc 2cf9 2d38-2d39 2d4f 2d51 2d54-2d55 2d5d
    2e28-2e29 2e40 3002-3003 3007 3014-3015 3033 30a0 30ce 31d3-31d4 4e36 4e3f a4d0-a4d4 a4d6-a4d7 a4d9-a4da
    a4dc-a4dd a4df-a4e3 a4e6-a4e7 a4ea-a4ec a4ee a4f0 a4f2-a4f4 a4f8-a4fb a4fd-a4ff a60e a644 a647 a698-a699 a6df
    a6eb a6ef a728 a731-a73d a74e-a74f a75a a76a a76e a777-a778 a789 a78c a798-a799 a79f a7ab a7b2-a7b4 ab32 ab35
    ab3d ab47-ab48 ab4e ab52 ab5a ab63 ab75 ab81 ab83 ab93 aba9-abaa abaf fd3e-fd3f fe58 ffe8 10282 10286-10287 1028a
    10290 10292 10295-10297 1029b 102a0-102a2 102a5 102ab 102b0-102b2 102b4 102cf 102f5 10301-10302 10309 10311 10315
    10317 1031a 1031f-10320 10322 10404 10415 1041b 10420 1042c 1043d 10448 104b4 104c2 104ce 104d2 104ea 104f6 10513
    10516 10518 1051c-1051d 10525-10527 10a50 114d0 11700 11706 1170a 1170e-1170f 118a0 118a2-118a4 118a6 118a9 118ac
    118ae-118af 118b2 118b5 118b8 118bb-118bc 118c0-118c4 118c6 118c8 118ca 118cc 118d5-118d8 118dc 118e0 118e3
    118e5-118e6 118e9 118ec 118ef 118f2 11dd9-11dda 11de0-11de1 16eaa 16eb6 16f08 16f0a 16f16 16f28 16f35 16f3a-16f3b
    16f3f-16f40 16f42-16f43 16f51-16f52 1ccd6-1ccf9 1d114 1d16d 1d206 1d20d 1d20f 1d212-1d213 1d216 1d22a 1d236-1d237
    1d23a-1d23b 1e6e9 1e8c7 1e8cb 1f12a 1f700 1f707 1f74c 1f75c 1f768 1f76b-1f76c
"""
