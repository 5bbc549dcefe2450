"""Ask before something is done."""

import sys

from desk import output


def agreed(question: str, *, word: str = "y") -> bool:
    """Ask on the terminal, and tell whether the word was typed; without a terminal the next line of stdin counts."""
    output.say(f"{question} [{word}/N]" if word == "y" else f"{question} type {word} to go on:")
    return sys.stdin.readline().strip().lower() == word
