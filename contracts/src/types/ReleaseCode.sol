// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.26;

/// @notice The answers of a release policy. Zero permits; every other value is the first reason not to.
enum ReleaseCode {
    Permitted,
    RuleMissing, // the owner set no rule for this capsule, or withdrew it
    RuleExpired,
    CodeNotPermitted, // the rule names other code
    ImageNotPermitted, // the rule names another worker image
    TaskUnknown,
    TaskNotLive, // settled, refunded, failed, or past its deadline
    TaskCapsuleMissing, // the task does not name this capsule
    TaskCodeMismatch, // the task was submitted for other code
    TaskImageMismatch, // the task was submitted for another worker image
    ExecutorNotActive,
    ExecutorCreditTooLow,
    ExecutorLevelTooLow
}
