// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.26;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {ReentrancyGuard} from "@openzeppelin/contracts/utils/ReentrancyGuard.sol";
import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";
import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";

import {IEpochLog} from "./interfaces/IEpochLog.sol";
import {INodeRegistry} from "./interfaces/INodeRegistry.sol";
import {Credit} from "./libraries/Credit.sol";
import {CreditTree} from "./libraries/CreditTree.sol";
import {Forfeit} from "./libraries/Forfeit.sol";
import {QuorumCertificate} from "./libraries/QuorumCertificate.sol";
import {VoteHash} from "./libraries/VoteHash.sol";
import {NodeRecord, NodeStatus, Standing} from "./types/NodeRecord.sol";
import {Admission, Eviction} from "./types/Votes.sol";

/// @title NodeRegistry
/// @notice The one place that knows members and weights, and so the one judge of quorum certificates. It trusts what
/// a quorum signs: TPM evidence is appraised off chain, before the signatures.
contract NodeRegistry is INodeRegistry, EIP712, ReentrancyGuard {
    using SafeERC20 for IERC20;

    struct Config {
        IERC20 token;
        uint128 depositMin;
        uint64 exitDelayS;
        uint64 suspensionEpochs;
    }

    /// @dev Who holds an EK, and from which epoch it may be admitted again.
    struct EkHolder {
        address account;
        uint64 suspendedUntil;
    }

    uint32 public constant CREDIT_MAX = Credit.MAX;
    uint32 public constant CREDIT_GENESIS = Credit.GENESIS;
    uint32 public constant CREDIT_NEWCOMER = Credit.NEWCOMER;
    uint8 public constant LEVEL_MAX = 3;
    uint256 public constant GENESIS_MAX = 64;
    uint256 public constant ENDPOINT_BYTES_MAX = 512;
    uint256 public constant PAGE_MAX = 256;
    /// @inheritdoc INodeRegistry
    uint256 public constant ADMISSION_EPOCHS = 4;
    uint256 public constant SLASH_BPS = Forfeit.SLASH_BPS;
    uint256 public constant REWARD_BPS = Forfeit.REWARD_BPS;

    IERC20 public immutable token;
    uint128 public immutable depositMin;
    uint64 public immutable exitDelayS;
    uint64 public immutable suspensionEpochs;
    address public immutable deployer;

    IEpochLog public epochLog;
    address public taskEscrow;
    address public disputes;

    /// @inheritdoc INodeRegistry
    uint256 public reserve;
    /// @inheritdoc INodeRegistry
    mapping(address account => bool) public isGenesis;
    /// @inheritdoc INodeRegistry
    mapping(address owner => mapping(address account => bool)) public isBacking;

    address[] private _genesis;
    uint256 private _genesisPending;
    uint256 private _activeWeight;
    address[] private _accounts;
    mapping(address account => NodeRecord) private _nodes;
    mapping(address account => uint64) private _exitAvailableAtS;
    mapping(address account => uint64) private _creditBlock;
    mapping(bytes32 ekId => EkHolder) private _ekHolders;
    /// @dev Peer and VRF keys stay bound for ever: to their account, and to their EK.
    mapping(bytes32 peerKey => address account) private _accountOfPeerKey;
    mapping(bytes32 vrfKeyHash => bytes32 ekId) private _ekOfVrfKey;

    constructor(Config memory config, address[] memory genesis) EIP712("Nemea", "1") {
        if (address(config.token) == address(0)) revert FieldInvalid("token");
        if (config.suspensionEpochs == 0) revert FieldInvalid("suspensionEpochs");
        if (genesis.length == 0 || genesis.length > GENESIS_MAX) revert FieldInvalid("genesis");
        token = config.token;
        depositMin = config.depositMin;
        exitDelayS = config.exitDelayS;
        suspensionEpochs = config.suspensionEpochs;
        deployer = msg.sender;
        for (uint256 i = 0; i < genesis.length; i++) {
            if (genesis[i] == address(0) || isGenesis[genesis[i]]) revert FieldInvalid("genesis");
            isGenesis[genesis[i]] = true;
        }
        _genesis = genesis;
        _genesisPending = genesis.length;
    }

    modifier onlyTrusted() {
        if (msg.sender != taskEscrow && msg.sender != disputes) revert CallerNotTrusted(msg.sender);
        _;
    }

    /// @inheritdoc INodeRegistry
    function wire(address epochLog_, address taskEscrow_, address disputes_) external {
        if (msg.sender != deployer) revert NotDeployer(msg.sender);
        if (address(epochLog) != address(0)) revert AlreadyWired();
        if (epochLog_.code.length == 0) revert FieldInvalid("epochLog");
        if (taskEscrow_.code.length == 0) revert FieldInvalid("taskEscrow");
        if (disputes_.code.length == 0) revert FieldInvalid("disputes");
        epochLog = IEpochLog(epochLog_);
        taskEscrow = taskEscrow_;
        disputes = disputes_;
        emit Wired(epochLog_, taskEscrow_, disputes_);
    }

    /// @inheritdoc INodeRegistry
    function depositFor(address account, uint128 amount) external nonReentrant {
        if (account == address(0)) revert FieldInvalid("account");
        if (amount == 0) revert FieldInvalid("amount");
        uint128 deposit = _nodes[account].deposit + amount;
        _nodes[account].deposit = deposit;
        isBacking[msg.sender][account] = true;
        emit Deposited(account, msg.sender, amount, deposit);
        token.safeTransferFrom(msg.sender, address(this), amount);
    }

    /// @inheritdoc INodeRegistry
    function requestExit() external {
        if (_genesisPending != 0) revert GenesisIncomplete(_genesisPending);
        NodeRecord storage n = _requireActive(msg.sender);
        _setWeight(n, 0);
        n.status = NodeStatus.Exiting;
        // A certificate signed before the exit must not bring the node back.
        uint64 suspendedUntil = epochLog.latestEpoch() + 1;
        n.suspendedUntil = suspendedUntil;
        _ekHolders[n.ekId].suspendedUntil = suspendedUntil;
        uint64 availableAtS = uint64(block.timestamp) + exitDelayS;
        _exitAvailableAtS[msg.sender] = availableAtS;
        emit ExitRequested(msg.sender, availableAtS);
    }

    /// @inheritdoc INodeRegistry
    function withdraw() external nonReentrant {
        NodeRecord storage n = _nodes[msg.sender];
        uint256 availableAtS = _exitAvailableAtS[msg.sender];
        if (n.status == NodeStatus.Active || (n.status == NodeStatus.Exiting && block.timestamp < availableAtS)) {
            revert DepositLocked(msg.sender, n.status, availableAtS);
        }
        uint128 amount = n.deposit;
        if (amount == 0 && n.status != NodeStatus.Exiting) revert NothingToWithdraw(msg.sender);
        // What is paid for a membership to come belongs to no owner yet.
        address to = msg.sender;
        if (n.status == NodeStatus.Exiting) (n.status, to) = (NodeStatus.Left, n.owner);
        n.deposit = 0;
        delete _exitAvailableAtS[msg.sender];
        emit Withdrawn(msg.sender, to, amount);
        token.safeTransfer(to, amount);
    }

    /// @inheritdoc INodeRegistry
    function admit(Admission calldata a, bytes[] calldata signatures) external {
        requireAdmissible(a);
        requireQuorum(VoteHash.hash(a), signatures);
        _bindKeys(a);
        NodeRecord storage n = _write(a);
        emit NodeAdmitted(a.account, a.ekId, n, a.endpoint);
        _completeGenesis();
    }

    /// @inheritdoc INodeRegistry
    function evict(Eviction calldata e, bytes[] calldata signatures) external {
        if (_genesisPending != 0) revert GenesisIncomplete(_genesisPending);
        NodeRecord storage n = _nodes[e.account];
        if (!_isMember(n)) revert NodeNotMember(e.account, n.status);
        if (e.epoch < n.admittedEpoch) revert EvictionStale(e.account, e.epoch, n.admittedEpoch);
        requireQuorum(VoteHash.hash(e), signatures);

        (uint128 forfeited, uint32 creditBefore, uint32 weightBefore) = (n.deposit, n.credit, n.weight);
        uint64 suspendedUntil = uint64(Math.max(e.epoch, epochLog.latestEpoch())) + suspensionEpochs;
        _setWeight(n, 0);
        n.credit = 0;
        n.deposit = 0;
        n.status = NodeStatus.Evicted;
        n.suspendedUntil = suspendedUntil;
        _ekHolders[n.ekId].suspendedUntil = suspendedUntil;
        delete _exitAvailableAtS[e.account];
        reserve += forfeited;
        emit NodeEvicted(
            e.account, e.epoch, e.reason, e.evidenceDigest, forfeited, creditBefore, weightBefore, suspendedUntil
        );
    }

    /// @inheritdoc INodeRegistry
    function applyCredit(address account, int32 delta) external onlyTrusted {
        NodeRecord storage n = _requireActive(account);
        _creditBlock[account] = uint64(block.number);
        _setCredit(n, Credit.afterDelta(n.credit, delta));
    }

    /// @inheritdoc INodeRegistry
    function slash(address account, address reporter)
        external
        nonReentrant
        returns (uint128 forfeited, uint128 reward)
    {
        if (msg.sender != disputes) revert CallerNotTrusted(msg.sender);
        NodeRecord storage n = _nodes[account];
        if (!_isMember(n)) return (0, 0);
        uint32 creditBefore = n.credit;
        (forfeited, reward) = Forfeit.divide(n.deposit);
        n.deposit -= forfeited;
        reserve += forfeited - reward;
        _creditBlock[account] = uint64(block.number);
        if (n.status == NodeStatus.Active) _setCredit(n, Credit.afterFault(creditBefore));
        else n.credit = Credit.afterFault(creditBefore);
        emit NodeSlashed(account, reporter, forfeited, reward, creditBefore);
        token.safeTransfer(reporter, reward);
    }

    /// @inheritdoc INodeRegistry
    function syncCredit(address account, uint64 epoch, uint32 credit, bytes32[] calldata proof) external {
        NodeRecord storage n = _requireActive(account);
        (uint64 latestEpoch,, bytes32 creditRoot, uint64 boundaryBlock) = epochLog.latest();
        if (epoch != latestEpoch) revert CreditEpochMismatch(epoch, latestEpoch);
        // Otherwise the sync would undo a slash or a reward that the epoch's credit does not know yet.
        if (boundaryBlock < _creditBlock[account]) {
            revert CreditChangedSince(account, _creditBlock[account], boundaryBlock);
        }
        if (credit > CREDIT_MAX) revert CreditTooHigh(credit, CREDIT_MAX);
        if (!CreditTree.verify(creditRoot, account, epoch, credit, proof)) {
            revert CreditProofInvalid(account, epoch, credit);
        }
        _setCredit(n, credit);
    }

    /// @inheritdoc INodeRegistry
    function fundReserve(uint128 amount) external nonReentrant {
        reserve += amount;
        emit ReserveFunded(msg.sender, amount, reserve);
        token.safeTransferFrom(msg.sender, address(this), amount);
    }

    /// @inheritdoc INodeRegistry
    function requireAdmissible(Admission calldata a) public view {
        _requireWellFormed(a);
        if (address(epochLog) == address(0)) revert FieldInvalid("epochLog");
        if (_genesisPending != 0 && !isGenesis[a.account]) revert AccountNotGenesis(a.account);
        NodeRecord storage n = _nodes[a.account];
        if (_isMember(n)) revert AlreadyAdmitted(a.account, n.status);
        if (n.deposit < depositMin) revert DepositTooLow(a.account, n.deposit, depositMin);
        if (a.owner != a.account && !isBacking[a.owner][a.account]) revert OwnerNotBacking(a.account, a.owner);
        _requireKeysFree(a);
        uint64 suspendedUntil = uint64(Math.max(n.suspendedUntil, _ekHolders[a.ekId].suspendedUntil));
        if (a.epoch < suspendedUntil) revert Suspended(a.account, a.ekId, a.epoch, suspendedUntil);
        uint64 latestEpoch = epochLog.latestEpoch();
        if (latestEpoch > a.epoch + ADMISSION_EPOCHS) revert AdmissionStale(a.account, a.epoch, latestEpoch);
    }

    /// @inheritdoc INodeRegistry
    function voteDigest(bytes32 structHash) public view returns (bytes32) {
        return _hashTypedDataV4(structHash);
    }

    /// @inheritdoc INodeRegistry
    function requireQuorum(bytes32 structHash, bytes[] calldata signatures) public view returns (uint256 weight) {
        address[] memory signers = QuorumCertificate.recoverSigners(voteDigest(structHash), signatures);
        for (uint256 i = 0; i < signers.length; i++) {
            uint256 signerWeight = votingWeight(signers[i]);
            if (signerWeight == 0) revert SignerNotVoter(signers[i]);
            weight += signerWeight;
        }
        QuorumCertificate.requireSupermajority(weight, weightTotal());
    }

    /// @inheritdoc INodeRegistry
    function node(address account) external view returns (NodeRecord memory) {
        return _nodes[account];
    }

    /// @inheritdoc INodeRegistry
    function standing(address account) external view returns (Standing memory) {
        NodeRecord storage n = _nodes[account];
        return Standing(n.status, n.level, n.credit, n.weight, n.deposit);
    }

    /// @inheritdoc INodeRegistry
    function nodeCount() external view returns (uint256) {
        return _accounts.length;
    }

    /// @inheritdoc INodeRegistry
    function nodes(uint256 from, uint256 to) external view returns (NodeRecord[] memory page) {
        to = Math.min(to, _accounts.length);
        if (from >= to) return page;
        if (to - from > PAGE_MAX) revert PageTooLarge(to - from, PAGE_MAX);
        page = new NodeRecord[](to - from);
        for (uint256 i = from; i < to; i++) {
            page[i - from] = _nodes[_accounts[i]];
        }
    }

    /// @inheritdoc INodeRegistry
    function isActive(address account) external view returns (bool) {
        return _nodes[account].status == NodeStatus.Active;
    }

    /// @inheritdoc INodeRegistry
    function genesisAccounts() external view returns (address[] memory) {
        return _genesis;
    }

    /// @inheritdoc INodeRegistry
    function genesisComplete() external view returns (bool) {
        return _genesisPending == 0;
    }

    /// @inheritdoc INodeRegistry
    function votingWeight(address account) public view returns (uint256) {
        if (_genesisPending != 0) return isGenesis[account] ? 1 : 0;
        return _nodes[account].weight;
    }

    /// @inheritdoc INodeRegistry
    function weightTotal() public view returns (uint256) {
        return _genesisPending != 0 ? _genesis.length : _activeWeight;
    }

    /// @inheritdoc INodeRegistry
    function exitAvailableAtS(address account) external view returns (uint64) {
        return _exitAvailableAtS[account];
    }

    function _requireWellFormed(Admission calldata a) private pure {
        if (a.account == address(0)) revert FieldInvalid("account");
        if (a.owner == address(0)) revert FieldInvalid("owner");
        if (a.peerKey == 0) revert FieldInvalid("peerKey");
        if (a.ekId == 0) revert FieldInvalid("ekId");
        if (a.akX == 0 || a.akY == 0) revert FieldInvalid("ak");
        if (a.vrfX == 0 || a.vrfY == 0) revert FieldInvalid("vrf");
        if (a.level == 0 || a.level > LEVEL_MAX) revert FieldInvalid("level");
        uint256 endpointBytes = bytes(a.endpoint).length;
        if (endpointBytes == 0 || endpointBytes > ENDPOINT_BYTES_MAX) revert FieldInvalid("endpoint");
    }

    /// @dev An EK belongs to its account while that is a member; peer and VRF keys stay bound to who had them first.
    function _requireKeysFree(Admission calldata a) private view {
        address ekHolder = _ekHolders[a.ekId].account;
        NodeRecord storage held = _nodes[ekHolder];
        if (_isMember(held) && held.ekId == a.ekId) revert EkTaken(a.ekId, ekHolder);
        address peerHolder = _accountOfPeerKey[a.peerKey];
        if (peerHolder != address(0) && peerHolder != a.account) revert PeerKeyTaken(a.peerKey, peerHolder);
        bytes32 vrfEkId = _ekOfVrfKey[_vrfKeyHash(a)];
        if (vrfEkId != 0 && vrfEkId != a.ekId) revert VrfKeyTaken(a.vrfX, a.vrfY, vrfEkId);
    }

    function _bindKeys(Admission calldata a) private {
        _accountOfPeerKey[a.peerKey] = a.account;
        _ekOfVrfKey[_vrfKeyHash(a)] = a.ekId;
        _ekHolders[a.ekId] = EkHolder(a.account, 0);
    }

    function _vrfKeyHash(Admission calldata a) private pure returns (bytes32) {
        return keccak256(abi.encode(a.vrfX, a.vrfY));
    }

    function _write(Admission calldata a) private returns (NodeRecord storage n) {
        n = _nodes[a.account];
        if (n.status == NodeStatus.None) _accounts.push(a.account);
        n.account = a.account;
        n.owner = a.owner;
        n.peerKey = a.peerKey;
        n.ekId = a.ekId;
        n.akX = a.akX;
        n.akY = a.akY;
        n.vrfX = a.vrfX;
        n.vrfY = a.vrfY;
        n.level = a.level;
        n.admittedEpoch = a.epoch;
        n.status = NodeStatus.Active;
        n.suspendedUntil = 0;
        n.credit = _genesisPending != 0 ? CREDIT_GENESIS : CREDIT_NEWCOMER;
        _setWeight(n, Credit.weightOf(n.credit));
        _creditBlock[a.account] = uint64(block.number);
    }

    /// @dev Nobody can leave or be expelled before genesis is complete, so each admission until then is a new account.
    function _completeGenesis() private {
        if (_genesisPending == 0) return;
        _genesisPending--;
        if (_genesisPending == 0) emit GenesisCompleted(_activeWeight);
    }

    function _setCredit(NodeRecord storage n, uint32 credit) private {
        uint32 creditBefore = n.credit;
        uint32 weight = Credit.weightOf(credit);
        n.credit = credit;
        _setWeight(n, weight);
        emit CreditChanged(n.account, creditBefore, credit, weight);
    }

    function _setWeight(NodeRecord storage n, uint32 weight) private {
        _activeWeight = _activeWeight - n.weight + weight;
        n.weight = weight;
    }

    function _requireActive(address account) private view returns (NodeRecord storage n) {
        n = _nodes[account];
        if (n.status != NodeStatus.Active) revert NodeNotActive(account, n.status);
    }

    function _isMember(NodeRecord storage n) private view returns (bool) {
        return n.status == NodeStatus.Active || n.status == NodeStatus.Exiting;
    }
}
