# The last script of the first boot: from here on the directory holds a whole database.
rm -f "$VOLUME/.first-boot-under-way"
