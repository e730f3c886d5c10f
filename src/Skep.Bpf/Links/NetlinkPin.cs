using Skep.Bpf.Kernel;
using Skep.Bpf.Programs;

namespace Skep.Bpf.Links;

/// <summary>Finds the hook of a pinned program that was attached by netlink, in the namespace of the calling thread.</summary>
internal static class NetlinkPin
{
    internal static Link Open(KernelHandle handle, string path)
    {
        var socket = new NetlinkSocket();
        try
        {
            var info = default(ProgramInfo);
            BpfException.ThrowIfFailed(BpfSyscall.ObjGetInfo(handle, ref info), "Reading what the kernel knows of a program failed");
            if (info.Type == ProgramType.Xdp && NetlinkXdp.FindHook(socket, info.Id) is var (index, mode))
            {
                return new XdpLink(new NetlinkXdp(socket, handle, info.Id, index, mode) { PinPath = path }, mode);
            }

            if (info.Type == ProgramType.SchedCls && NetlinkFilter.FindHook(socket, info.Id) is var (device, parent, priority))
            {
                return new TcxLink(new NetlinkFilter(socket, handle, info.Id, device, parent, priority, ownsClsact: false) { PinPath = path });
            }

            throw new NotSupportedException($"What is pinned at {path} is a program that is attached nowhere in this network namespace.");
        }
        catch
        {
            handle.Dispose();
            socket.Dispose();
            throw;
        }
    }
}
