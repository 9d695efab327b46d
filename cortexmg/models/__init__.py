"""Ready networks, one file each. Each function returns a `Network`."""

from cortexmg.models.balanced import balanced as balanced
from cortexmg.models.barreto_cressman import barreto_cressman as barreto_cressman
from cortexmg.models.brunel_wang import brunel_wang as brunel_wang
from cortexmg.models.cobahh import cobahh as cobahh
from cortexmg.models.cortex import cortex as cortex
from cortexmg.models.cortex_slice import cortex_slice as cortex_slice
from cortexmg.models.ei_nmda import ei_nmda as ei_nmda
from cortexmg.models.hubel_dahlem import hubel_dahlem as hubel_dahlem
from cortexmg.models.microcircuit import microcircuit as microcircuit
from cortexmg.models.up_down import up_down as up_down
