// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.26;

/// @notice What an approved digest stands for.
enum PolicyKind {
    EkRoot, // a TPM maker's root certificate
    Release, // a release manifest of the node software
    Image, // a worker image
    Code // a task's code
}
