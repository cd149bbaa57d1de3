import { CodedError } from '@nemea/core';

export class NodeError extends CodedError<'CHRONICLE_CORRUPT' | 'NODE_NOT_READY' | 'NODE_GENESIS_UNKNOWN'> {}
