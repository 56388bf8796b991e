// All of xgrad. The order is that of its layers, bottom to top; each header can be included on its own.
#pragma once

#include "xgrad/support/error.hpp"
#include "xgrad/support/random.hpp"
#include "xgrad/support/threads.hpp"
//
#include "xgrad/tensor/blas.hpp"
#include "xgrad/tensor/dtype.hpp"
#include "xgrad/tensor/shape.hpp"
#include "xgrad/tensor/view.hpp"
#include "xgrad/tensor/xtensor.hpp"
//
#include "xgrad/tape/flow.hpp"
#include "xgrad/tape/functional.hpp"
#include "xgrad/tape/grad.hpp"
#include "xgrad/tape/gradcheck.hpp"
#include "xgrad/tape/op.hpp"
#include "xgrad/tape/parameter.hpp"
#include "xgrad/tape/tape.hpp"
#include "xgrad/tape/var.hpp"
//
#include "xgrad/ops/activation.hpp"
#include "xgrad/ops/custom.hpp"
#include "xgrad/ops/elementwise.hpp"
#include "xgrad/ops/index.hpp"
#include "xgrad/ops/linalg.hpp"
#include "xgrad/ops/loss.hpp"
#include "xgrad/ops/random.hpp"
#include "xgrad/ops/reduce.hpp"
#include "xgrad/ops/shape.hpp"
#include "xgrad/ops/softmax.hpp"
//
#include "xgrad/nn/init.hpp"
#include "xgrad/nn/layers.hpp"
#include "xgrad/nn/sequential.hpp"
#include "xgrad/nn/visitor.hpp"
//
#include "xgrad/optim/optimizer.hpp"
//
#include "xgrad/data/batches.hpp"
#include "xgrad/data/digits.hpp"
#include "xgrad/data/mnist.hpp"
#include "xgrad/data/transforms.hpp"
#include "xgrad/io/idx.hpp"
