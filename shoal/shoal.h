// Everything a program needs to train with shoal.
#pragma once

#include "shoal/comm/world.h"             // worlds and groups
#include "shoal/data/open_data.h"         // data sets by name
#include "shoal/launch/launched_world.h"  // being a worker of any launcher
#include "shoal/model/chain.h"            // models as chains of blocks
#include "shoal/model/zoo.h"              // models by name
#include "shoal/program/compile.h"        // plans to programs
#include "shoal/tensor/torch_settings.h"  // LibTorch's switches
#include "shoal/tensor/torch_store.h"     // torchrun's store
#include "shoal/train/trainer.h"          // the training loop
