using Skep.Bpf.Kernel;
using Skep.Bpf.Programs;

namespace Skep.Bpf.Links;

/// <summary>A table of functions in use (kernel 5.6; by link 6.4, which can be replaced in place and pinned).</summary>
public sealed class StructOpsLink : Link
{
    private readonly StructOpsAttachment? _link;

    internal StructOpsLink(StructOpsAttachment link)
        : base(link) => _link = link;

    private StructOpsLink(StructOpsEntry entry)
        : base(entry)
    {
    }

    /// <summary>Puts the table to use.</summary>
    /// <exception cref="BpfException">EEXIST when another table has the name.</exception>
    public static StructOpsLink Attach(LoadedStructOps table)
    {
        ArgumentNullException.ThrowIfNull(table);
        if (!table.ByLink)
        {
            table.Write("Registering");
            return new StructOpsLink(new StructOpsEntry(table));
        }

        using var lease = table.Map.Borrow();
        var attributes = new LinkCreateAttributes { Program = lease.Descriptor, AttachType = AttachType.StructOps };
        var status = BpfSyscall.LinkCreate(ref attributes, out var handle);
        if (status < 0)
        {
            handle.Dispose();
            throw new BpfException($"Attaching {table.Spec.Struct} '{table.Spec.Name}' failed{LoadedStructOps.Explain(status, table.Spec)}", status);
        }

        return new StructOpsLink(new StructOpsAttachment(handle));
    }

    /// <summary>
    /// Replaces the table in one step: there is no moment without one. Connections that are open keep the functions they began with until they
    /// end (<c>tcp_update_congestion_control</c>, net/ipv4/tcp_cong.c); new ones get the new.
    /// </summary>
    /// <param name="table">The new table, of the same struct and name.</param>
    /// <exception cref="BpfException">EINVAL when name or struct differ.</exception>
    /// <exception cref="NotSupportedException">The table was attached without a link.</exception>
    public void Update(LoadedStructOps table)
    {
        ArgumentNullException.ThrowIfNull(table);
        if (_link is null)
        {
            throw new NotSupportedException($"Without a link (before kernel {LoadedStructOps.LinkKernel}) a table cannot be replaced in place: dispose of it and attach the new one.");
        }

        _link.Replace(table);
    }
}

/// <summary>A link to a table instead of a program.</summary>
internal sealed class StructOpsAttachment(KernelHandle handle) : KernelLink(handle)
{
    internal override uint ProgramId => 0;

    internal override void Update(LoadedProgram program) =>
        throw new NotSupportedException("This link holds a table of functions; replace it by Update(LoadedStructOps).");

    internal void Replace(LoadedStructOps table)
    {
        // link_update.new_map_fd shares its place with new_prog_fd.
        using var link = Handle.Borrow();
        using var map = table.Map.Borrow();
        var attributes = new LinkUpdateAttributes { Link = link.Descriptor, NewProgram = map.Descriptor };
        var status = BpfSyscall.LinkUpdate(ref attributes);
        BpfException.ThrowIfFailed(
            status, $"Replacing a table by {table.Spec.Struct} '{table.Spec.Name}' failed{(status == -Errno.Invalid ? "; both need the same struct and the same name" : "")}");
    }
}

/// <summary>A table that is in use because its map has its entry, as before kernel 6.4.</summary>
internal sealed unsafe class StructOpsEntry : Attachment
{
    private readonly LoadedStructOps _table;
    private bool _held;
    private bool _gone;

    internal StructOpsEntry(LoadedStructOps table)
    {
        // The descriptor stays open until the entry has been deleted, also when the table is disposed of before.
        _table = table;
        table.Map.DangerousAddRef(ref _held);
    }

    internal override uint LinkId => 0;

    internal override uint ProgramId => 0;

    internal override int InterfaceIndex => 0;

    internal override void Pin(string path) =>
        throw new NotSupportedException($"A table without a link (before kernel {LoadedStructOps.LinkKernel}) stays in use until it is detached; it needs no pin.");

    internal override void Update(LoadedProgram program) =>
        throw new NotSupportedException("This is a table of functions, which no single program can replace.");

    internal override void Detach()
    {
        if (_gone)
        {
            return;
        }

        _gone = true;
        var key = 0u;
        var attributes = new MapElemAttributes { Map = (int)_table.Map.DangerousGetHandle(), Key = &key };
        BpfException.ThrowIfFailed(BpfSyscall.MapDeleteElem(ref attributes), $"Taking {_table.Spec.Struct} '{_table.Spec.Name}' out of use failed");
    }

    internal override void Close()
    {
        Detach();
        if (_held)
        {
            _held = false;
            _table.Map.DangerousRelease();
        }
    }
}
