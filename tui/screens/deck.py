"""The screens that the digits show, in their order."""

from tui.screens.base import DeckScreen
from tui.screens.positions import PositionsScreen
from tui.screens.trade import TradeScreen

DECK: tuple[type[DeckScreen], ...] = (TradeScreen, PositionsScreen)
