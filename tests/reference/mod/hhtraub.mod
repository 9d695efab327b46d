: Sodium and delayed-rectifier potassium with threshold shift vt (Traub-Miles rates).
NEURON {
    SUFFIX hhtraub
    NONSPECIFIC_CURRENT i
    RANGE gna, gk, ena, ek, vt
}
UNITS { (mV) = (millivolt) (mA) = (milliamp) (S) = (siemens) }
PARAMETER {
    gna = 0.05 (S/cm2)
    gk = 0.005 (S/cm2)
    ena = 50 (mV)
    ek = -100 (mV)
    vt = -55 (mV)
}
ASSIGNED { v (mV) i (mA/cm2) am (/ms) bm (/ms) ah (/ms) bh (/ms) an (/ms) bn (/ms) }
STATE { m h n }
INITIAL {
    rates(v)
    m = am/(am + bm)
    h = ah/(ah + bh)
    n = an/(an + bn)
}
BREAKPOINT {
    SOLVE gates METHOD cnexp
    i = gna*m*m*m*h*(v - ena) + gk*n*n*n*n*(v - ek)
}
DERIVATIVE gates {
    rates(v)
    m' = am*(1 - m) - bm*m
    h' = ah*(1 - h) - bh*h
    n' = an*(1 - n) - bn*n
}
: (exp(x) - 1)/x, also at x = 0
FUNCTION exprel(x) {
    if (fabs(x) < 1e-5) { exprel = 1 + x/2 } else { exprel = (exp(x) - 1)/x }
}
PROCEDURE rates(v (mV)) { LOCAL u
    u = v - vt
    am = 1.28/exprel((13 - u)/4)
    bm = 1.4/exprel((u - 40)/5)
    ah = 0.128*exp((17 - u)/18)
    bh = 4/(1 + exp((40 - u)/5))
    an = 0.16/exprel((15 - u)/5)
    bn = 0.5*exp((10 - u)/40)
}
