// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.26;

import {NodeStatus} from "../../src/types/NodeRecord.sol";
import {Task, TaskState} from "../../src/types/Task.sol";
import {
    Admission,
    AttestationRequest,
    DisputeVerdict,
    Eviction,
    Settlement,
    TaskFailure
} from "../../src/types/Votes.sol";
import {Network} from "../utils/Network.sol";

/// @notice Random but well-formed life of a network: the fuzzer picks who does what, the handler signs as the voters.
contract NetworkHandler is Network {
    bytes32[] public taskIds;
    /// @notice How often each action got through: an invariant over a run where nothing happens says nothing.
    mapping(bytes32 action => uint256) public succeeded;

    uint64 private _epoch = 1;

    constructor() {
        setUp();
        completeGenesis();
        registerCapsules();
    }

    function deposit(uint256 who, uint128 amount) external {
        registry.depositFor(_account(who), uint128(bound(amount, 1, 2 * DEPOSIT_MIN)));
        succeeded["deposit"]++;
    }

    /// @dev A neighbour's EK is offered now and then: it must never be admitted twice.
    function join(uint256 who, uint256 keysOf) external {
        address account = _account(who);
        registry.depositFor(account, DEPOSIT_MIN);
        Admission memory a = admissionOf(account, _epoch);
        if (keysOf % 3 == 0) a.owner = address(this);
        if (keysOf % 4 == 0) {
            a.ekId = admissionOf(_account(keysOf / 4), _epoch).ekId;
            a.vrfX = keccak256(abi.encode(account, a.ekId));
        }
        registry.admit(a, sign(hasher.hash(a)));
        succeeded["join"]++;
    }

    /// @dev Founders stay, so that there is always a quorum.
    function leave(uint256 who) external {
        vm.prank(accounts[bound(who, FOUNDERS, ACCOUNTS - 1)]);
        registry.requestExit();
        succeeded["leave"]++;
    }

    function takeDeposit(uint256 who) external {
        vm.prank(_account(who));
        registry.withdraw();
        succeeded["takeDeposit"]++;
    }

    function expel(uint256 who) external {
        Eviction memory e = Eviction(accounts[bound(who, FOUNDERS, ACCOUNTS - 1)], _epoch, keccak256("e"), 1);
        registry.evict(e, sign(hasher.hash(e)));
        succeeded["expel"]++;
    }

    function open(uint128 fee, uint8 capsuleCount) external {
        taskIds.push(createTask(uint128(bound(fee, 1, DEPOSIT_MIN)), bound(capsuleCount, 0, 2)));
        succeeded["open"]++;
    }

    function drawAndSettle(uint256 which, uint256 who, uint8 verifierCount) external {
        bytes32 taskId = _task(which);
        uint32 attempt = escrow.task(taskId).attempt + 1;
        elect(taskId, attempt, accounts[who % 2]);
        Settlement memory s = settlementOf(taskId, attempt, accounts[who % 2], 2, 2 + bound(verifierCount, 1, 6));
        escrow.settle(s, sign(hasher.hash(s)));
        succeeded["drawAndSettle"]++;
    }

    function giveUp(uint256 which, uint8 reason) external {
        TaskFailure memory f = TaskFailure(_task(which), 5, reason);
        escrow.fail(f, sign(hasher.hash(f)));
        succeeded["giveUp"]++;
    }

    function refund(uint256 which) external {
        escrow.refund(_task(which));
        succeeded["refund"]++;
    }

    function accuse(uint256 who, bytes32 nonce, bool guilty) external {
        address attestor = _account(who);
        address target = accounts[attestor == accounts[0] ? 1 : 0];
        AttestationRequest memory r = AttestationRequest(_epoch, attestor, target, 1, nonce, keccak256(hex"00"));
        bytes memory signature = signDigest(registry.voteDigest(hasher.hash(r)), attestor);
        vm.prank(target);
        DisputeVerdict memory v = DisputeVerdict(disputes.report(r, hex"00", signature), guilty);
        disputes.resolve(v, sign(hasher.hash(v)));
        succeeded["accuse"]++;
    }

    function syncCredit(uint256 who, uint32 credit) external {
        address account = _account(who);
        credit = uint32(bound(credit, 0, 10_000));
        recordEpoch(_epoch, sha256(abi.encodePacked(uint8(0), account, _epoch, credit)));
        registry.syncCredit(account, _epoch, credit, new bytes32[](0));
        _epoch++;
        succeeded["syncCredit"]++;
    }

    function pass(uint16 seconds_) external {
        vm.warp(block.timestamp + seconds_ % 120);
        vm.roll(block.number + 1);
        _epoch += 2;
    }

    function openFees() external view returns (uint256 sum) {
        for (uint256 i = 0; i < taskIds.length; i++) {
            Task memory t = escrow.task(taskIds[i]);
            if (t.state == TaskState.Created || t.state == TaskState.Elected) sum += t.fee;
        }
    }

    function depositTotal() external view returns (uint256 sum) {
        for (uint256 i = 0; i < ACCOUNTS; i++) {
            sum += registry.standing(accounts[i]).deposit;
        }
    }

    function activeWeight() external view returns (uint256 sum) {
        for (uint256 i = 0; i < ACCOUNTS; i++) {
            bool active = statusOf(accounts[i]) == NodeStatus.Active;
            uint256 weight = registry.standing(accounts[i]).weight;
            assertTrue(active == (weight != 0), "weight without membership");
            sum += weight;
        }
    }

    /// @notice Reverts if two members share an EK.
    function requireNoEkTwice() external view {
        for (uint256 i = 0; i < ACCOUNTS; i++) {
            for (uint256 j = 0; j < i; j++) {
                if (!_isMember(accounts[i]) || !_isMember(accounts[j])) continue;
                assertTrue(registry.node(accounts[i]).ekId != registry.node(accounts[j]).ekId, "ek twice");
            }
        }
    }

    /// @notice All tokens that any account of this world may hold.
    function tokensSeen() external view returns (uint256 sum) {
        sum = token.balanceOf(address(this)) + token.balanceOf(address(registry)) + token.balanceOf(address(escrow))
            + token.balanceOf(CREATOR) + token.balanceOf(OWNER_B) + token.balanceOf(OWNER_C);
        for (uint256 i = 0; i < ACCOUNTS; i++) {
            sum += token.balanceOf(accounts[i]);
        }
    }

    function balanceOfRegistry() external view returns (uint256) {
        return token.balanceOf(address(registry));
    }

    function balanceOfEscrow() external view returns (uint256) {
        return token.balanceOf(address(escrow));
    }

    function reserve() external view returns (uint256) {
        return registry.reserve();
    }

    function weightTotal() external view returns (uint256) {
        return registry.weightTotal();
    }

    function _account(uint256 who) private view returns (address) {
        return accounts[who % ACCOUNTS];
    }

    function _task(uint256 which) private view returns (bytes32) {
        return taskIds.length == 0 ? bytes32(0) : taskIds[which % taskIds.length];
    }

    function _isMember(address account) private view returns (bool) {
        NodeStatus status = statusOf(account);
        return status == NodeStatus.Active || status == NodeStatus.Exiting;
    }
}
