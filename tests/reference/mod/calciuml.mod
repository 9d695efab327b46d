: High-threshold calcium current I_L.
NEURON {
    SUFFIX calciuml
    USEION ca READ eca WRITE ica
    RANGE gl
}
UNITS { (mV) = (millivolt) (mA) = (milliamp) (S) = (siemens) }
PARAMETER { gl = 1.7e-4 (S/cm2) }
ASSIGNED { v (mV) eca (mV) ica (mA/cm2) aq (/ms) bq (/ms) ar (/ms) br (/ms) }
STATE { q r }
INITIAL {
    rates(v)
    q = aq/(aq + bq)
    r = ar/(ar + br)
}
BREAKPOINT {
    SOLVE gates METHOD cnexp
    ica = gl*q*q*r*(v - eca)
}
DERIVATIVE gates {
    rates(v)
    q' = aq*(1 - q) - bq*q
    r' = ar*(1 - r) - br*r
}
FUNCTION exprel(x) {
    if (fabs(x) < 1e-5) { exprel = 1 + x/2 } else { exprel = (exp(x) - 1)/x }
}
PROCEDURE rates(v (mV)) {
    aq = 0.209/exprel((-27 - v)/3.8)
    bq = 0.94*exp((-75 - v)/17)
    ar = 0.000457*exp((-13 - v)/50)
    br = 0.0065/(exp((-15 - v)/28) + 1)
}
