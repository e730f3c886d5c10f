using System.Runtime.InteropServices;
using System.Text;
using Microsoft.Win32.SafeHandles;
using Skep.Bpf.Kernel;
using Skep.Bpf.Maps;
using Skep.Bpf.Programs;

namespace Skep.Bpf.Links;

/// <summary>An iterator (kernel 5.8): every reader sees all objects once. Pinned, the file can be read by anything that reads files.</summary>
public sealed unsafe class IteratorLink : Link
{
    private const int LargestRead = 1 << 16;

    internal IteratorLink(KernelLink link)
        : base(link)
    {
    }

    /// <summary>Makes an iterator over all objects of the program's target.</summary>
    /// <exception cref="BpfException">EINVAL or EBADF when the target needs a map (<c>bpf_map_elem</c>, <c>bpf_sk_storage_map</c>).</exception>
    public static IteratorLink Attach(LoadedProgram program)
    {
        ArgumentNullException.ThrowIfNull(program);
        return Attach(program, []);
    }

    /// <summary>Makes an iterator over the elements of a map (<c>bpf_map_elem</c>, <c>bpf_sk_storage_map</c>).</summary>
    /// <param name="program">The program.</param>
    /// <param name="map">A map that lives in the kernel.</param>
    /// <exception cref="BpfException">EACCES when the program reads more than the map's key and value have; EINVAL when the map's kind has no iterator.</exception>
    public static IteratorLink Attach(LoadedProgram program, BpfMap map)
    {
        ArgumentNullException.ThrowIfNull(program);
        ArgumentNullException.ThrowIfNull(map);
        var storage = map.IsBound && map.Storage is KernelMapStorage kernel ? kernel : throw new InvalidOperationException(
            $"Map '{map.Name}' does not live in the kernel; load a program that uses it first.");
        using var lease = storage.Handle.Borrow();
        return Attach(program, BitConverter.GetBytes(lease.Descriptor));
    }

    /// <summary>Makes an iterator over the threads, files or memory areas of one process (<c>task</c>, <c>task_file</c>, <c>task_vma</c>; kernel 6.1).</summary>
    /// <param name="program">The program.</param>
    /// <param name="processId">The process.</param>
    /// <exception cref="BpfException">ESRCH when there is no such process; EINVAL before kernel 6.1.</exception>
    public static IteratorLink AttachToProcess(LoadedProgram program, int processId)
    {
        ArgumentNullException.ThrowIfNull(program);

        // union bpf_iter_link_info: tid:4 pid:4 pid_fd:4
        var info = new byte[12];
        BitConverter.TryWriteBytes(info.AsSpan(4), processId);
        return Attach(program, info);
    }

    /// <summary>Makes an iterator over control groups: the one of a directory, or all below it (<c>cgroup</c>; kernel 6.1).</summary>
    /// <param name="program">The program.</param>
    /// <param name="directory">Directory of the control group.</param>
    /// <param name="below">Whether those below it are seen, too, parents first.</param>
    /// <exception cref="BpfException">EBADF when the directory is no control group; EINVAL before kernel 6.1.</exception>
    public static IteratorLink AttachToCgroup(LoadedProgram program, string directory, bool below)
    {
        ArgumentNullException.ThrowIfNull(program);

        // union bpf_iter_link_info: order:4 cgroup_fd:4 cgroup_id:8
        const int SelfOnly = 1, DescendantsPre = 2;
        using var group = LibC.OpenDescriptor(directory, LibC.O_DIRECTORY, "the control group");
        using var lease = group.Borrow();
        var info = new byte[16];
        BitConverter.TryWriteBytes(info, below ? DescendantsPre : SelfOnly);
        BitConverter.TryWriteBytes(info.AsSpan(4), lease.Descriptor);
        return Attach(program, info);
    }

    /// <summary>Begins a new sweep; the bytes are what the program writes.</summary>
    /// <exception cref="BpfException">The kernel refused.</exception>
    public Stream Open()
    {
        using var lease = ((KernelLink)Attachment).Borrow();
        var attributes = new LinkUpdateAttributes { Link = lease.Descriptor };
        BpfException.ThrowIfFailed(BpfSyscall.IterCreate(ref attributes, out var handle), "Beginning an iteration failed");
        var descriptor = (int)handle.DangerousGetHandle();
        handle.SetHandleAsInvalid();
        return new FileStream(new SafeFileHandle(descriptor, ownsHandle: true), FileAccess.Read, bufferSize: 0);
    }

    /// <summary>A sweep whose program writes text.</summary>
    public IReadOnlyList<string> ReadLines()
    {
        using var reader = new StreamReader(Open(), Encoding.UTF8);
        var lines = new List<string>();
        while (reader.ReadLine() is { } line)
        {
            lines.Add(line);
        }

        return lines;
    }

    /// <summary>A sweep whose program writes records of one type.</summary>
    /// <typeparam name="T">The record.</typeparam>
    /// <exception cref="InvalidDataException">The program wrote something that is no whole number of records.</exception>
    public IReadOnlyList<T> Read<T>()
        where T : unmanaged
    {
        using var stream = Open();
        using var bytes = new MemoryStream();
        stream.CopyTo(bytes, LargestRead);
        if (bytes.Length % sizeof(T) != 0)
        {
            throw new InvalidDataException($"The iterator wrote {bytes.Length} bytes, which are no whole number of records of {sizeof(T)} bytes ({typeof(T)}).");
        }

        return MemoryMarshal.Cast<byte, T>(bytes.GetBuffer().AsSpan(0, (int)bytes.Length)).ToArray();
    }

    private static IteratorLink Attach(LoadedProgram program, byte[] info)
    {
        fixed (byte* pointer = info)
        {
            var attributes = new LinkCreateAttributes
            {
                AttachType = AttachType.TraceIter, IteratorInfo = pointer, IteratorInfoLength = (uint)info.Length,
            };
            BpfException.ThrowIfFailed(KernelLink.Create(program, ref attributes, out var link), $"Making an iterator of program '{program.Name}' failed");
            return new IteratorLink(link);
        }
    }
}
