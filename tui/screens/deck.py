"""The screens that the digits show, in their order."""

from tui.screens.alerts import AlertsScreen
from tui.screens.base import DeckScreen
from tui.screens.configs import ConfigsScreen
from tui.screens.journal import JournalScreen
from tui.screens.orders import OrdersScreen
from tui.screens.positions import PositionsScreen
from tui.screens.risk import RiskScreen
from tui.screens.studies import StudiesScreen
from tui.screens.trade import TradeScreen
from tui.screens.venues import VenuesScreen

DECK: tuple[type[DeckScreen], ...] = (
    TradeScreen,
    PositionsScreen,
    OrdersScreen,
    RiskScreen,
    VenuesScreen,
    StudiesScreen,
    ConfigsScreen,
    JournalScreen,
    AlertsScreen,
)
