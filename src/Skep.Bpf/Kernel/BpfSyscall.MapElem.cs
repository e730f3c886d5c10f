using System.Runtime.InteropServices;

namespace Skep.Bpf.Kernel;

/// <summary>
/// Attributes of the calls on one map entry, 32 bytes.
/// <code>
/// 0 map_fd:4   4 padding:4   8 key:8   16 value or next_key:8   24 flags:8
/// </code>
/// </summary>
[StructLayout(LayoutKind.Sequential)]
internal unsafe struct MapElemAttributes
{
    internal int Map;
    internal uint Padding;
    internal void* Key;
    internal void* Value;
    internal ulong Flags;
}

internal static unsafe partial class BpfSyscall
{
    internal static int MapLookupElem(ref MapElemAttributes attributes) => Call(BpfCommand.MapLookupElem, ref attributes);

    internal static int MapUpdateElem(ref MapElemAttributes attributes) => Call(BpfCommand.MapUpdateElem, ref attributes);

    internal static int MapDeleteElem(ref MapElemAttributes attributes) => Call(BpfCommand.MapDeleteElem, ref attributes);

    internal static int MapLookupAndDeleteElem(ref MapElemAttributes attributes) => Call(BpfCommand.MapLookupAndDeleteElem, ref attributes);

    internal static int MapGetNextKey(ref MapElemAttributes attributes) => Call(BpfCommand.MapGetNextKey, ref attributes);

    internal static int MapFreeze(ref MapElemAttributes attributes) => Call(BpfCommand.MapFreeze, ref attributes);
}
