"""What changes slowly around cells and is shared by those that lie together: one file each."""

from cortexmg.tissues.extracellular_space import ExtracellularSpace as ExtracellularSpace
from cortexmg.tissues.glia import Buffer as Buffer, Glia as Glia, Uptake as Uptake
from cortexmg.tissues.noradrenaline import Noradrenaline as Noradrenaline
from cortexmg.tissues.tissue import Exchange as Exchange, Tissue as Tissue
from cortexmg.tissues.voxels import Voxels as Voxels, voxels_of as voxels_of
