// Step number to learning rate.
#ifndef DDGAN_TRAINER_STEP_LEARNING_RATE_H_
#define DDGAN_TRAINER_STEP_LEARNING_RATE_H_

namespace ddgan {

// Cosine annealing per epoch, 1e-5 + (base - 1e-5)(1 + cos(pi epoch /
// num_epochs)) / 2 (engine/MODEL.md 5.2; Loshchilov and Hutter, ICLR 2017,
// equation 5). The last epoch is `num_epochs` itself. num_epochs >= 1. A base
// below 1e-5, which this formula would let rise, stays as it is.
double CosineLearningRate(double base, int epoch, int num_epochs);

}  // namespace ddgan

#endif  // DDGAN_TRAINER_STEP_LEARNING_RATE_H_
