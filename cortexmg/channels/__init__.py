"""Ion channels: one file each."""

from cortexmg.channels.adex import Adaptation as Adaptation, Upstroke as Upstroke
from cortexmg.channels.afterhyperpolarisation import (
    Afterhyperpolarisation as Afterhyperpolarisation,
)
from cortexmg.channels.ambient_nmda import AmbientNMDA as AmbientNMDA
from cortexmg.channels.calcium_l import CalciumL as CalciumL
from cortexmg.channels.calcium_n import CalciumN as CalciumN, Inactivation as Inactivation
from cortexmg.channels.calcium_t import CalciumT as CalciumT
from cortexmg.channels.channel import Channel as Channel
from cortexmg.channels.cotransport import KCC2 as KCC2
from cortexmg.channels.cressman import (
    CressmanPotassium as CressmanPotassium,
    CressmanSodium as CressmanSodium,
    SlavedSodium as SlavedSodium,
)
from cortexmg.channels.leak import IonLeak as IonLeak, Leak as Leak
from cortexmg.channels.m_current import MCurrent as MCurrent
from cortexmg.channels.potassium import Potassium as Potassium
from cortexmg.channels.pump import (
    HillPump as HillPump,
    Pump as Pump,
    SigmoidPump as SigmoidPump,
)
from cortexmg.channels.sodium import Sodium as Sodium
