: Two-exponential conductance of unit peak times weight (uS), with Jahr-Stevens block if mg > 0.
NEURON {
    POINT_PROCESS TwoExp
    NONSPECIFIC_CURRENT i
    RANGE rise, decay, e, mg
}
UNITS { (mV) = (millivolt) (nA) = (nanoamp) (uS) = (microsiemens) (mM) = (milli/liter) }
PARAMETER { rise = 0.5 (ms) decay = 3 (ms) e = 0 (mV) mg = 0 (mM) }
ASSIGNED { v (mV) i (nA) norm }
STATE { a (uS) b (uS) }
INITIAL { LOCAL peak
    peak = rise*decay/(decay - rise)*log(decay/rise)
    norm = 1/(exp(-peak/decay) - exp(-peak/rise))
    a = 0
    b = 0
}
BREAKPOINT {
    SOLVE state METHOD cnexp
    i = (b - a)*(v - e)/(1 + mg/3.57*exp(-0.062*v))
}
DERIVATIVE state { a' = -a/rise b' = -b/decay }
NET_RECEIVE(weight (uS)) {
    a = a + weight*norm
    b = b + weight*norm
}
