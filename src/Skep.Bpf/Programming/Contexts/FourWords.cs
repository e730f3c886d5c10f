using System.Runtime.CompilerServices;

namespace Skep.Bpf.Programming;

/// <summary>Four 32-bit words of a context in the process: an IPv6 address, arguments.</summary>
[InlineArray(4)]
internal struct FourWords
{
#pragma warning disable IDE0044, CS0169 // the runtime makes four of it
    private uint _first;
#pragma warning restore IDE0044, CS0169
}
