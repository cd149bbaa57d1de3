// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.26;

import {CapsuleRegistry} from "../../src/CapsuleRegistry.sol";
import {Disputes} from "../../src/Disputes.sol";
import {EpochLog} from "../../src/EpochLog.sol";
import {FeeToken} from "../../src/FeeToken.sol";
import {NodeRegistry} from "../../src/NodeRegistry.sol";
import {PolicyRegistry} from "../../src/PolicyRegistry.sol";
import {StandardReleasePolicy} from "../../src/StandardReleasePolicy.sol";
import {TaskEscrow} from "../../src/TaskEscrow.sol";
import {NodeStatus} from "../../src/types/NodeRecord.sol";
import {TaskSpec} from "../../src/types/Task.sol";
import {Admission, Election, EpochRecord, Eviction, Settlement} from "../../src/types/Votes.sol";
import {Test} from "./Test.sol";
import {VoteHasher} from "./VoteHasher.sol";

/// @notice A deployed network whose accounts' keys the test holds: five founders, and candidates.
/// `accounts` rises by address, as certificates want it; the first five are the founders.
abstract contract Network is Test {
    uint256 internal constant FOUNDERS = 5;
    uint256 internal constant ACCOUNTS = 12;
    uint128 internal constant DEPOSIT_MIN = 1_000;
    uint64 internal constant EXIT_DELAY_S = 100;
    uint64 internal constant SUSPENSION_EPOCHS = 10;
    uint64 internal constant GRACE_S = 30;
    uint256 internal constant SUPPLY = 1e27;

    bytes32 internal constant CODE = keccak256("code");
    bytes32 internal constant IMAGE = keccak256("image");
    address internal constant OWNER_B = address(0xB);
    address internal constant OWNER_C = address(0xC);
    address internal constant CREATOR = address(0xA);
    bytes32 internal constant CAPSULE_B = keccak256("capsule b");
    bytes32 internal constant CAPSULE_C = keccak256("capsule c");

    FeeToken internal token;
    NodeRegistry internal registry;
    PolicyRegistry internal policies;
    EpochLog internal epochs;
    CapsuleRegistry internal capsules;
    TaskEscrow internal escrow;
    Disputes internal disputes;
    StandardReleasePolicy internal policy;
    VoteHasher internal hasher;

    address[] internal accounts;
    mapping(address account => uint256 privateKey) internal keys;

    function setUp() public virtual {
        _makeAccounts();
        address[] memory founders = new address[](FOUNDERS);
        for (uint256 i = 0; i < FOUNDERS; i++) {
            founders[i] = accounts[i];
        }
        hasher = new VoteHasher();
        token = FeeToken(deploy("FeeToken", abi.encode(SUPPLY)));
        NodeRegistry.Config memory config =
            NodeRegistry.Config(token, DEPOSIT_MIN, EXIT_DELAY_S, SUSPENSION_EPOCHS);
        registry = NodeRegistry(deploy("NodeRegistry", abi.encode(config, founders)));
        policies = PolicyRegistry(deploy("PolicyRegistry", abi.encode(registry, address(this))));
        epochs = EpochLog(deploy("EpochLog", abi.encode(registry, uint64(5_000))));
        capsules = CapsuleRegistry(deploy("CapsuleRegistry", ""));
        escrow = TaskEscrow(deploy("TaskEscrow", abi.encode(token, registry, capsules, GRACE_S)));
        disputes = Disputes(deploy("Disputes", abi.encode(registry)));
        policy = StandardReleasePolicy(deploy("StandardReleasePolicy", abi.encode(registry, capsules, escrow)));
        registry.wire(address(epochs), address(escrow), address(disputes));
        token.approve(address(registry), type(uint256).max);
        vm.roll(100);
        vm.warp(1_000_000);
    }

    /// @notice Deploys the built artifact, not this test's own compilation; reverts as the constructor does.
    function deploy(string memory name, bytes memory args) internal returns (address deployed) {
        bool osaka = keccak256(bytes(vm.envOr("FOUNDRY_PROFILE", "test"))) == keccak256("test-osaka");
        string memory path = string.concat(osaka ? "out-osaka/" : "out/", name, ".sol/", name, ".json");
        bytes memory code = bytes.concat(vm.getCode(path), args);
        assembly ("memory-safe") {
            deployed := create(0, add(code, 0x20), mload(code))
            if iszero(deployed) {
                let free := mload(0x40)
                returndatacopy(free, 0, returndatasize())
                revert(free, returndatasize())
            }
        }
    }

    function completeGenesis() internal {
        for (uint256 i = 0; i < FOUNDERS; i++) {
            admit(accounts[i], 0);
        }
    }

    function admissionOf(address account, uint64 epoch) internal pure returns (Admission memory) {
        return Admission({
            account: account,
            owner: account,
            peerKey: keccak256(abi.encode("peer", account)),
            ekId: keccak256(abi.encode("ek", account)),
            akX: keccak256(abi.encode("ak x", account)),
            akY: keccak256(abi.encode("ak y", account)),
            vrfX: keccak256(abi.encode("vrf x", account)),
            vrfY: keccak256(abi.encode("vrf y", account)),
            level: 1,
            epoch: epoch,
            endpoint: "/ip4/127.0.0.1/tcp/4001"
        });
    }

    function admit(address account, uint64 epoch) internal {
        registry.depositFor(account, DEPOSIT_MIN);
        Admission memory a = admissionOf(account, epoch);
        registry.admit(a, sign(hasher.hash(a)));
    }

    function evict(address account, uint64 epoch) internal {
        Eviction memory e = Eviction(account, epoch, keccak256("evidence"), 1);
        registry.evict(e, sign(hasher.hash(e)));
    }

    function recordEpoch(uint64 epoch, bytes32 creditRoot) internal {
        EpochRecord memory r = epochRecord(epoch, creditRoot);
        epochs.record(r, sign(hasher.hash(r)));
    }

    function epochRecord(uint64 epoch, bytes32 creditRoot) internal view returns (EpochRecord memory) {
        return EpochRecord({
            epoch: epoch,
            seed: keccak256(abi.encode("seed", epoch)),
            rosterRoot: keccak256("roster"),
            attestationRoot: keccak256("attestation"),
            creditRoot: creditRoot,
            admissions: 1,
            evictions: 0,
            policyVersion: 0,
            boundaryBlock: uint64(block.number)
        });
    }

    function registerCapsules() internal {
        registerCapsule(CAPSULE_B, OWNER_B);
        registerCapsule(CAPSULE_C, OWNER_C);
    }

    function registerCapsule(bytes32 id, address owner) internal {
        vm.prank(owner);
        capsules.register(id, hex"01551220", keccak256("payload"), address(policy), keccak256("receiver"), "/ip4/1.2.3.4");
    }

    function taskSpec(uint128 fee, uint256 capsuleCount) internal pure returns (TaskSpec memory s) {
        bytes32[] memory ids = new bytes32[](capsuleCount);
        if (capsuleCount > 0) ids[0] = CAPSULE_B;
        if (capsuleCount > 1) ids[1] = CAPSULE_C;
        s = TaskSpec(CODE, IMAGE, ids, 60, 1, 10, fee);
    }

    function createTask(uint128 fee, uint256 capsuleCount) internal returns (bytes32) {
        token.transfer(CREATOR, fee);
        vm.prank(CREATOR);
        token.approve(address(escrow), fee);
        TaskSpec memory s = taskSpec(fee, capsuleCount);
        vm.prank(CREATOR);
        return escrow.create(s, hex"a0");
    }

    function electionOf(bytes32 taskId, uint32 attempt, address executor) internal pure returns (Election memory) {
        return Election(taskId, attempt, keccak256(abi.encode(taskId, executor, keccak256("salt"))));
    }

    function elect(bytes32 taskId, uint32 attempt, address executor) internal {
        Election memory e = electionOf(taskId, attempt, executor);
        escrow.commitExecutor(e, sign(hasher.hash(e)));
    }

    /// @dev Verifiers are the accounts [from, to).
    function settlementOf(bytes32 taskId, uint32 attempt, address executor, uint256 from, uint256 to)
        internal
        view
        returns (Settlement memory)
    {
        address[] memory verifiers = new address[](to - from);
        for (uint256 i = from; i < to; i++) {
            verifiers[i - from] = accounts[i];
        }
        return Settlement(taskId, attempt, executor, keccak256("salt"), verifiers, keccak256("certificate"));
    }

    /// @notice A certificate by every voter.
    function sign(bytes32 structHash) internal view returns (bytes[] memory) {
        return signBy(structHash, _voters());
    }

    /// @notice Signatures in the order given.
    function signBy(bytes32 structHash, address[] memory signers) internal view returns (bytes[] memory signatures) {
        bytes32 digest = registry.voteDigest(structHash);
        signatures = new bytes[](signers.length);
        for (uint256 i = 0; i < signers.length; i++) {
            signatures[i] = signDigest(digest, signers[i]);
        }
    }

    function signDigest(bytes32 digest, address signer) internal view returns (bytes memory) {
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(keys[signer], digest);
        return abi.encodePacked(r, s, v);
    }

    function firstAccounts(uint256 count) internal view returns (address[] memory list) {
        list = new address[](count);
        for (uint256 i = 0; i < count; i++) {
            list[i] = accounts[i];
        }
    }

    function statusOf(address account) internal view returns (NodeStatus) {
        return registry.standing(account).status;
    }

    function _voters() private view returns (address[] memory voters) {
        uint256 count = 0;
        for (uint256 i = 0; i < ACCOUNTS; i++) {
            if (registry.votingWeight(accounts[i]) != 0) count++;
        }
        voters = new address[](count);
        uint256 next = 0;
        for (uint256 i = 0; i < ACCOUNTS; i++) {
            if (registry.votingWeight(accounts[i]) != 0) voters[next++] = accounts[i];
        }
    }

    function _makeAccounts() private {
        for (uint256 i = 1; i <= ACCOUNTS; i++) {
            address account = vm.addr(i);
            keys[account] = i;
            accounts.push(account);
            for (uint256 j = accounts.length - 1; j > 0 && accounts[j - 1] > accounts[j]; j--) {
                (accounts[j - 1], accounts[j]) = (accounts[j], accounts[j - 1]);
            }
        }
    }
}
