// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.26;

import {Test} from "../utils/Test.sol";
import {NetworkHandler} from "./NetworkHandler.sol";

struct FuzzSelector {
    address addr;
    bytes4[] selectors;
}

/// @notice What stays true whatever the members do, and in whatever order.
contract NetworkInvariants is Test {
    NetworkHandler internal handler;

    function setUp() public {
        handler = new NetworkHandler();
    }

    function targetContracts() public view returns (address[] memory targets) {
        targets = new address[](1);
        targets[0] = address(handler);
    }

    function targetSelectors() public view returns (FuzzSelector[] memory targets) {
        bytes4[] memory selectors = new bytes4[](12);
        selectors[0] = handler.deposit.selector;
        selectors[1] = handler.join.selector;
        selectors[2] = handler.leave.selector;
        selectors[3] = handler.takeDeposit.selector;
        selectors[4] = handler.expel.selector;
        selectors[5] = handler.open.selector;
        selectors[6] = handler.drawAndSettle.selector;
        selectors[7] = handler.giveUp.selector;
        selectors[8] = handler.refund.selector;
        selectors[9] = handler.accuse.selector;
        selectors[10] = handler.syncCredit.selector;
        selectors[11] = handler.pass.selector;
        targets = new FuzzSelector[](1);
        targets[0] = FuzzSelector(address(handler), selectors);
    }

    // One function, because the fuzzer plays all its runs again for each; the failing claim is named by its label.
    function invariant_moneyIsConservedWeightsAddUpAndNoEkCountsTwice() public view {
        assertEq(handler.balanceOfRegistry(), handler.depositTotal() + handler.reserve(), "deposits and reserve");
        assertEq(handler.balanceOfEscrow(), handler.openFees(), "fees of open tasks");
        assertEq(handler.tokensSeen(), 1e27, "supply");
        assertEq(handler.weightTotal(), handler.activeWeight(), "weight total");
        handler.requireNoEkTwice();
    }
}
