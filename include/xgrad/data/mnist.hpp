// Loads MNIST and the data sets with its file names and shapes (Fashion-MNIST, KMNIST): four IDX files in one
// folder, each plain (`train-images-idx3-ubyte`) or compressed (`train-images-idx3-ubyte.gz`).
#pragma once

#include <filesystem>
#include <optional>
#include <vector>

#include "xgrad/data/image_set.hpp"

namespace xgrad::data {

/// A training set and a test set of images of the same size.
struct Mnist {
  ImageSet train, test;
  int classes = 10;
};

/// Reads the four files of a folder. Where a file is there both plain and compressed, it reads the plain one.
/// @throws IoError naming the file, the offset, what was expected and what was found, when a file is
///   missing or damaged, holds no images, or does not fit the others, or a label is not 0 to 9.
Mnist load_mnist(const std::filesystem::path& folder);

/// The folders to look for MNIST in, in order: `$XGRAD_DATA`, then the cache, `$XDG_CACHE_HOME/xgrad/mnist`
/// or
/// `$HOME/.cache/xgrad/mnist`. A folder whose variable is not set is left out.
std::vector<std::filesystem::path> mnist_folders();

/// The first of `mnist_folders()` that has all four files; their contents are not checked.
std::optional<std::filesystem::path> find_mnist();

}  // namespace xgrad::data
