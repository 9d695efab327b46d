"""Pools of ions inside cells: one file each."""

from cortexmg.pools.calcium import CalciumShell as CalciumShell
from cortexmg.pools.pool import Pool as Pool
