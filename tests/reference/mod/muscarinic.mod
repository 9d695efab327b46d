: Slow potassium current I_M.
NEURON {
    SUFFIX muscarinic
    NONSPECIFIC_CURRENT i
    RANGE gm, ek
}
UNITS { (mV) = (millivolt) (mA) = (milliamp) (S) = (siemens) }
PARAMETER { gm = 7e-5 (S/cm2) ek = -100 (mV) }
ASSIGNED { v (mV) i (mA/cm2) pinf taup (ms) }
STATE { p }
INITIAL { rates(v) p = pinf }
BREAKPOINT {
    SOLVE gates METHOD cnexp
    i = gm*p*(v - ek)
}
DERIVATIVE gates { rates(v) p' = (pinf - p)/taup }
PROCEDURE rates(v (mV)) {
    pinf = 1/(1 + exp(-(v + 35)/10))
    taup = 1000/(3.3*exp((v + 35)/20) + exp(-(v + 35)/20))
}
