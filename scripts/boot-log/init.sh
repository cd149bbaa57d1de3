#!/bin/sh
# PID 1 of the recorded machine: touches files for IMA to measure, then answers requests on the second serial port:
#   file PATH   the file in base64, then a line with a dot
#   tpm HEX     one TPM command through the kernel's resource manager; answers one line of hex
#   end         switches the machine off, orderly: the TPM gets its TPM2_Shutdown
export PATH=/bin
/bin/busybox --install -s /bin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
mount -t securityfs securityfs /sys/kernel/security
for module in virtio_ring virtio virtio_pci_legacy_dev virtio_pci_modern_dev virtio_pci virtio_blk; do
  insmod "/lib/modules/$module.ko"
done
for data in /dev/vda2 /dev/vda; do
  [ -b "$data" ] && break
done
mount -t ext4 "$data" /data

# Measured by `ima_policy=tcb`: programs that run, and what root reads.
/data/bin/busybox true
/data/bin/signed true
cat /data/etc/settings '/data/etc/name with spaces' >/dev/null
# A file written while a reader has it open is a violation: its measurement cannot be trusted.
exec 5</data/etc/contended
cat <&5 >/dev/null
echo changed >>/data/etc/contended
exec 5<&-

stty -F /dev/ttyS1 raw -echo
exec 3<>/dev/tpmrm0 4<>/dev/ttyS1
echo 'init is ready' >&4
while read -r verb argument <&4; do
  case $verb in
    file)
      base64 "$argument" >&4
      echo . >&4
      ;;
    tpm)
      # The driver wants a command in one write and gives its response in one read.
      echo "$argument" | xxd -r -p >/command
      cat /command >&3
      dd bs=4096 count=1 <&3 2>/dev/null | xxd -p | tr -d '\n' >&4
      echo >&4
      ;;
    end) break ;;
  esac
done
umount /data
poweroff -f
