import { CodedError } from '@nemea/core';

export class DemoError extends CodedError<'DEMO_NODES' | 'DEMO_TIMED_OUT'> {}
