using Skep.Bpf.Kernel;
using Skep.Bpf.Maps;
using Skep.Bpf.Programs;

namespace Skep.Bpf.Links;

/// <summary>Finds the hook of a pinned attachment by netlink, in the namespace of the calling thread.</summary>
internal static class NetlinkPin
{
    internal static Link Open(string path)
    {
        var socket = new NetlinkSocket();
        ArrayMap<HookRecord>? pin = null;
        KernelHandle? program = null;
        try
        {
            pin = HookRecord.Open(path);
            if (!pin.TryGet(0, out var hook) || hook.Magic != HookRecord.ExpectedMagic)
            {
                throw new NotSupportedException($"What is pinned at {path} is a map, not an attachment.");
            }

            var actual = hook.Type == ProgramType.Xdp ? NetlinkXdp.ProgramAt(socket, hook) : NetlinkFilter.ProgramAt(socket, hook);
            if (actual != hook.ProgramId)
            {
                throw new BpfException(
                    $"The program of {path} is no longer attached to interface {hook.Interface}: the interface or the program is gone", Errno.NoEntry);
            }

            program = NetlinkAttachment.Reopen(hook.ProgramId);
            NetlinkAttachment attachment = hook.Type == ProgramType.Xdp
                ? new NetlinkXdp(socket, program, hook)
                : new NetlinkFilter(socket, program, hook, ownsClsact: false);
            attachment.AdoptPin(pin, path);
            return hook.Type == ProgramType.Xdp ? new XdpLink(attachment, hook.Mode) : new TcxLink(attachment);
        }
        catch (MapMismatchException e)
        {
            socket.Dispose();
            throw new NotSupportedException($"What is pinned at {path} is a map, not an attachment.", e);
        }
        catch
        {
            pin?.Dispose();
            socket.Dispose();
            program?.Dispose();
            throw;
        }
    }
}
