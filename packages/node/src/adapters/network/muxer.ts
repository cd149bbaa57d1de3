import type { StreamMuxer, StreamMuxerFactory } from '@libp2p/interface';
import { type YamuxMuxerInit, yamux } from '@libp2p/yamux';
import { StreamState, type YamuxStream } from '@libp2p/yamux/stream';

/** Half of the window that yamux opens a stream with: a sender is told long before it would have to stop. */
const UPDATE_BYTES_MIN = 128 * 1024;

/**
 * Yamux that tells a sender of free room once for every 128 KiB. The library does so after each piece of data, so that
 * every small message would be answered by a packet, which its sender has to read.
 */
export function sparingYamux(init: YamuxMuxerInit): () => StreamMuxerFactory<StreamMuxer> {
  return () => {
    const factory = yamux(init)();
    return {
      protocol: factory.protocol,
      createStreamMuxer(connection) {
        const muxer = factory.createStreamMuxer(connection);
        const create = muxer.onCreateStream.bind(muxer);
        const accept = muxer.onRemoteStream.bind(muxer);
        muxer.onCreateStream = () => updateLate(create());
        muxer.onRemoteStream = (stream) => accept(updateLate(stream));
        return muxer;
      },
    };
  };
}

function updateLate(stream: YamuxStream): YamuxStream {
  const handleData = stream.handleData.bind(stream);
  const sendWindowUpdate = stream.sendWindowUpdate.bind(stream);
  let owedBytes = 0;
  stream.handleData = (frame) => {
    owedBytes += frame.header.length;
    handleData(frame);
  };
  stream.sendWindowUpdate = () => {
    // Before a stream is established, the update is also what opens or accepts it.
    if (stream.state === StreamState.Established && owedBytes < UPDATE_BYTES_MIN) return;
    if (stream.state !== StreamState.Paused) owedBytes = 0;
    sendWindowUpdate();
  };
  return stream;
}
