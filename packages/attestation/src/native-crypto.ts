type NodeCrypto = typeof import('node:crypto');

/**
 * Node's own crypto when there is one, asked for at run time: a static import would keep the judge out of browsers.
 */
export const nativeCrypto: NodeCrypto | undefined = globalThis.process?.getBuiltinModule?.('node:crypto');
