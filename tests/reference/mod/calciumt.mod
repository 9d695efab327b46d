: Low-threshold calcium current I_T at 36 degC; its activation is instantaneous.
NEURON {
    SUFFIX calciumt
    USEION ca READ eca WRITE ica
    RANGE gt
}
UNITS { (mV) = (millivolt) (mA) = (milliamp) (S) = (siemens) }
PARAMETER { gt = 4e-4 (S/cm2) }
ASSIGNED { v (mV) eca (mV) ica (mA/cm2) sinf uinf tauu (ms) }
STATE { u }
INITIAL { rates(v) u = uinf }
BREAKPOINT {
    SOLVE gates METHOD cnexp
    rates(v)
    ica = gt*sinf*sinf*u*(v - eca)
}
DERIVATIVE gates { rates(v) u' = (uinf - u)/tauu }
PROCEDURE rates(v (mV)) { LOCAL w
    w = v + 2
    sinf = 1/(1 + exp(-(w + 57)/6.2))
    uinf = 1/(1 + exp((w + 81)/4))
    tauu = (30.8 + (211.4 + exp((w + 113.2)/5))/(1 + exp((w + 84)/3.2)))/3^1.2
}
