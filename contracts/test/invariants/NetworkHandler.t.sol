// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.26;

import {Test} from "../utils/Test.sol";
import {NetworkHandler} from "./NetworkHandler.sol";

/// @notice Every action of the handler gets through when its turn comes, so that the invariants speak of something.
contract NetworkHandlerTest is Test {
    function test_everyActionCanSucceed() public {
        NetworkHandler handler = new NetworkHandler();
        handler.deposit(7, 999);
        handler.join(7, 1);
        handler.leave(2);
        handler.pass(119);
        handler.takeDeposit(7);
        handler.deposit(8, 999);
        handler.join(8, 1);
        handler.expel(3);
        for (uint256 i = 0; i < 3; i++) {
            handler.open(500, 2);
        }
        handler.drawAndSettle(0, 0, 2);
        handler.giveUp(1, 3);
        handler.pass(119);
        handler.refund(2);
        handler.accuse(1, keccak256("nonce"), true);
        handler.pass(1);
        handler.syncCredit(1, 77);
        string[11] memory actions = [
            "deposit",
            "join",
            "leave",
            "takeDeposit",
            "expel",
            "open",
            "drawAndSettle",
            "giveUp",
            "refund",
            "accuse",
            "syncCredit"
        ];
        for (uint256 i = 0; i < actions.length; i++) {
            assertTrue(handler.succeeded(bytes32(bytes(actions[i]))) > 0, actions[i]);
        }
    }
}
