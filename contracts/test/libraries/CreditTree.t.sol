// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.26;

import {CreditTree} from "../../src/libraries/CreditTree.sol";
import {Test} from "../utils/Test.sol";

contract CreditTreeTest is Test {
    string internal json;

    function setUp() public {
        json = vm.readFile("../vectors/credit/merkle.json");
    }

    function verify(bytes32 root, address account, uint64 epoch, uint32 credit, bytes32[] calldata proof)
        external
        pure
        returns (bool)
    {
        return CreditTree.verify(root, account, epoch, credit, proof);
    }

    function test_verify_agreesWithTheSharedVectors() public view {
        uint256 count = 0;
        for (; vm.keyExistsJson(json, _at("proofs", count, "")); count++) {
            assertTrue(
                this.verify(
                    vm.parseJsonBytes32(json, _at("proofs", count, ".root")),
                    vm.parseJsonAddress(json, _at("proofs", count, ".account")),
                    uint64(vm.parseJsonUint(json, _at("proofs", count, ".epoch"))),
                    uint32(vm.parseJsonUint(json, _at("proofs", count, ".credit"))),
                    vm.parseJsonBytes32Array(json, _at("proofs", count, ".proof"))
                ),
                "proof"
            );
        }
        assertTrue(count > 20, "vectors found");
    }

    function test_verify_refusesTheSharedForgeries() public view {
        uint256 count = 0;
        for (; vm.keyExistsJson(json, _at("forgeries", count, "")); count++) {
            assertTrue(
                !this.verify(
                    vm.parseJsonBytes32(json, _at("forgeries", count, ".root")),
                    vm.parseJsonAddress(json, _at("forgeries", count, ".account")),
                    uint64(vm.parseJsonUint(json, _at("forgeries", count, ".epoch"))),
                    uint32(vm.parseJsonUint(json, _at("forgeries", count, ".credit"))),
                    vm.parseJsonBytes32Array(json, _at("forgeries", count, ".proof"))
                ),
                "forgery"
            );
        }
        assertTrue(count >= 5, "vectors found");
    }

    function test_verify_refusesAProofDeeperThanAnyTree() public view {
        assertTrue(!this.verify(bytes32(0), address(1), 1, 1, new bytes32[](33)), "deep");
    }

    function _at(string memory list, uint256 index, string memory field) private pure returns (string memory) {
        return string.concat(".", list, "[", vm.toString(index), "]", field);
    }
}
