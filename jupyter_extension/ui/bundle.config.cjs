// Named modules, so that the bundle is the same wherever it is built: the committed one is compared with a new one.
module.exports = {
  optimization: { moduleIds: 'named', chunkIds: 'named' },
};
