"""The strategies that come with the program, by name."""

from core.strategy.library.model import Model, Parameter, Parameters, checked, signals
from core.strategy.library.momentum import CrossSectionMomentum, TimeSeriesMomentum
from core.strategy.library.reversion import BollingerReversion, VwapReversion
from core.strategy.library.session import OpeningRange, VolumeSpike
from core.strategy.library.trend import DonchianBreakout, RsiEmaCross

__all__ = ["MODELS", "Model", "Parameter", "Parameters", "checked", "signals"]

MODELS: dict[str, Model] = {
    model.name: model
    for model in (
        RsiEmaCross(),
        DonchianBreakout(),
        BollingerReversion(),
        VwapReversion(),
        OpeningRange(),
        VolumeSpike(),
        TimeSeriesMomentum(),
        CrossSectionMomentum(),
    )
}
