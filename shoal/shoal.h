// Everything a program needs to train with shoal.
#pragma once

#include "shoal/checkpoint/checkpoint.h"  // finding, checking and reading checkpoints
#include "shoal/comm/world.h"             // worlds and groups
#include "shoal/core/error.h"             // what is thrown
#include "shoal/core/partition.h"         // who takes which part
#include "shoal/core/philox.h"            // random numbers that depend on no state
#include "shoal/data/open_data.h"         // data sets by name
#include "shoal/execute/executor.h"       // one step at a time
#include "shoal/launch/launched_world.h"  // being a worker of any launcher
#include "shoal/model/chain.h"            // models as chains of blocks
#include "shoal/model/recorder.h"         // facts about them
#include "shoal/model/zoo.h"              // models by name
#include "shoal/program/compile.h"        // plans to programs
#include "shoal/program/picture.h"        // programs as listings and pictures
#include "shoal/program/simulate.h"       // how long they take
#include "shoal/program/verify.h"         // whether they fit together
#include "shoal/tensor/torch_settings.h"  // LibTorch's switches
#include "shoal/tensor/torch_store.h"     // torchrun's store
#include "shoal/train/trainer.h"          // the training loop
