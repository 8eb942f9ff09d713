// exp, ln, sine and cosine of doubles with equal bits on every processor, at
// most 2 units in the last place from the exact value. The C library's use
// instructions that not all processors have, and round differently with them.
// For tables that are computed once. No LibTorch. Thread-safe: pure functions.
#ifndef DDGAN_ENGINE_DIFFUSION_PORTABLE_MATH_H_
#define DDGAN_ENGINE_DIFFUSION_PORTABLE_MATH_H_

namespace ddgan {

// e^x. 0 below -708, where the result would be subnormal; infinity above 709;
// NaN of NaN, which a schedule that is about to be refused may have.
double PortableExp(double x);

// ln x of normal x > 0.
double PortableLog(double x);

// Of |x| < 2^20.
double PortableSin(double x);
double PortableCos(double x);

}  // namespace ddgan

#endif  // DDGAN_ENGINE_DIFFUSION_PORTABLE_MATH_H_
