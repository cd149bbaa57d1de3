// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.26;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";
import {ERC20Permit} from "@openzeppelin/contracts/token/ERC20/extensions/ERC20Permit.sol";

/// @title The devnet's means of payment for deposits and fees
/// @notice A plain ERC-20 with permit. The other contracts assume just that: no fee on transfer, no rebase, no hooks.
contract FeeToken is ERC20, ERC20Permit {
    constructor(uint256 supply) ERC20("Nemea Fee Token", "NMF") ERC20Permit("Nemea Fee Token") {
        _mint(msg.sender, supply);
    }
}
