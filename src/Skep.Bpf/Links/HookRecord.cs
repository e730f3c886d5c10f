using System.Runtime.InteropServices;
using Skep.Bpf.Kernel;
using Skep.Bpf.Maps;

namespace Skep.Bpf.Links;

/// <summary>
/// Where a program hangs that was attached by netlink. The kernel has no object for that which could be pinned, so the pin is a map of one
/// entry that holds this record.
/// <code>
/// 0 magic:8   8 program id:4   12 program type:4   16 interface:4   20 parent (TC):4   24 priority (TC):4   28 mode (XDP):4
/// </code>
/// </summary>
[StructLayout(LayoutKind.Sequential)]
internal record struct HookRecord(
    ulong Magic, uint ProgramId, Programs.ProgramType Type, int Interface, uint Parent, uint Priority, XdpMode Mode)
{
    internal const ulong ExpectedMagic = 0x6b6f6f6870656b73; // "skephook"

    internal static ArrayMap<HookRecord> NewMap() => new(1, "skep_hook");

    /// <summary>Opens the note pinned at the path.</summary>
    internal static ArrayMap<HookRecord> Open(string path)
    {
        var map = NewMap();
        map.Bind(KernelMapStorage.OpenPinned(path, map));
        return map;
    }
}
