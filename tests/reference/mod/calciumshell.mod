: Calcium in a shell under the membrane; its presence makes NEURON compute eca from cai and cao.
NEURON {
    SUFFIX calciumshell
    USEION ca READ ica, cai WRITE cai
    RANGE depth, tau, cinf
}
UNITS {
    (mM) = (milli/liter)
    (um) = (micron)
    (mA) = (milliamp)
    FARADAY = (faraday) (coulomb)
}
PARAMETER { depth = 1 (um) tau = 5 (ms) cinf = 2.4e-4 (mM) }
ASSIGNED { ica (mA/cm2) }
STATE { cai (mM) }
INITIAL { cai = cinf }
BREAKPOINT { SOLVE shell METHOD cnexp }
DERIVATIVE shell { cai' = -(1e4)*ica/(2*FARADAY*depth) + (cinf - cai)/tau }
