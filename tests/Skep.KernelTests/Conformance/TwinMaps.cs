using Skep.Bpf.Maps;
using Skep.Bpf.Twin;

namespace Skep.KernelTests.Conformance;

public sealed class TwinMaps : MapSemantics
{
    private readonly TwinEngine _twin = new();

    private protected override void Bind(BpfMap map) => _twin.Bind(map);
}
