import { CodedError } from '@nemea/core';

export class NodeError extends CodedError<'NODE_NOT_READY' | 'NODE_GENESIS_UNKNOWN'> {}
