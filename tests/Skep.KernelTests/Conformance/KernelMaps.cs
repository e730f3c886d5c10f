using Skep.Bpf.Maps;

namespace Skep.KernelTests.Conformance;

public sealed class KernelMaps : MapSemantics
{
    public KernelMaps() => Kernel.Require();

    private protected override void Bind(BpfMap map) => map.Bind(KernelMapStorage.Create(map));
}
