using Skep.Bpf.Maps;
using Skep.Bpf.Twin;

namespace Skep.Bpf.Tests.TwinTests;

/// <summary>Maps bound to a twin, for tests that work on maps without a program.</summary>
internal static class MapFixture
{
    public static T BoundTo<T>(this T map, TwinEngine twin)
        where T : BpfMap
    {
        twin.Bind(map);
        return map;
    }
}
