"""Pools of ions inside cells: one file each."""

from cortexmg.pools.calcium import CalciumShell as CalciumShell
from cortexmg.pools.ion_balance import IonBalance as IonBalance
from cortexmg.pools.pool import Pool as Pool
from cortexmg.pools.sodium_balance import SodiumBalance as SodiumBalance
